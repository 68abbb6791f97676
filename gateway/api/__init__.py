"""How we are asked over HTTP: the only home of Starlette. Routes are thin, one file a family."""
