"""The upstream: HTTP/1.1 connections to what answers calls, kept and shared. Made for passing calls on, not a
general client: no redirects, no cookies, no decompression, no TLS."""
