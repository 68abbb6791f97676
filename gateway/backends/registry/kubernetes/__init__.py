"""The registry in a cluster: ConfigMaps and Secrets in OSCAR's own layout, followed into memory."""
