"""What stands under the histogram: the moments of the residuals and how they compare with a normal distribution."""

from __future__ import annotations

from dashboards.assets import asset
from dashboards.format import escape, number, p_value, significant
from dashboards.study import Study

CSS = asset("residuals.css")


def residual_figures(study: Study | None) -> str:
    """Mean, deviation, skew, kurtosis, share beyond two deviations, Jarque-Bera; why there are none."""
    if study is None or study.residuals is None:
        return f'<div class="res"><div class="empty">{escape(study.no_residuals) if study else "Nothing computed yet"}</div></div>'
    shape = study.residuals
    rows = (
        ("mean", significant(shape.mean, 4)),
        ("standard deviation", significant(shape.sd, 4)),
        ("beyond 2 deviations", f"{shape.beyond_two_sd * 100:.1f} %"),
        ("skew", number(shape.skew)),
        ("excess kurtosis", number(shape.excess_kurtosis)),
        ("Jarque-Bera", p_value(shape.p_value)),
    )
    tails = "Fatter tails than normal: far values come more often than z suggests." if shape.excess_kurtosis > 0.5 else (
        "Thinner tails than normal." if shape.excess_kurtosis < -0.5 else "Tails about as the normal distribution has them."
    )  # fmt: skip
    what = "Errors of the filter's predictions over their standard deviation" if study.drifts else "The spread"
    return (
        '<div class="res"><dl>' + "".join(f"<div><dt>{key}</dt><dd>{value}</dd></div>" for key, value in rows) + "</dl>"
        f'<div class="note">{what} at {shape.n:,} bars, the line is the normal curve. {tails} A normal distribution has 4.6 % beyond two'
        " deviations. The p-value takes the values to be independent, which those of a spread are not.</div></div>"
    )
