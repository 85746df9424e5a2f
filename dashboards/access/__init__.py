"""Who may see the dashboard and who may change things: logins, roles, origins, and the one gate in front of every route."""
