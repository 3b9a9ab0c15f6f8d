"""The orchestration service, version 2: modules around the models of all vendors, behind one deployment."""
