"""What runs beside a user's container in a pod, thin over `gateway.staging`."""
