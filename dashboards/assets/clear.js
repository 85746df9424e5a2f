const view = Bokeh.index.find_one_by_id(made.id), layer = view?.canvas_view?.primary
if (layer?.canvas) layer.undo_transform((ctx) => ctx.clearRect(0, 0, layer.canvas.width, layer.canvas.height))
