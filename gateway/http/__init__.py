"""The handling of requests before they are routed: authentication, CORS, admission control and bodies."""
