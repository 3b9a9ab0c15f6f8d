"""The OpenAPI document of the proxy. Nothing but `route` is loaded before somebody asks for it."""
