"""Version 2 of the orchestration service: modules around the models of all vendors, in one deployment."""
