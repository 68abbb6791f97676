"""Users of identity providers, by the tokens that these sign (OpenID Connect)."""
