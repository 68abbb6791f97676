"""How we are asked over HTTP: the only home of Starlette. Endpoints are thin: they read a request, call an
action, write its answer."""
