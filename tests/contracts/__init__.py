"""What every technology behind a role promises: one file a role, run against each of them."""
