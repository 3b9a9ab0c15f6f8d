"""A small SAP AI Core for trials and tests: tokens, deployments and all inference protocols."""

from emulator.app import create_app
from emulator.server import Running, serve
from emulator.world import Deployment, Tenant, World, default_world

__all__ = ["Deployment", "Running", "Tenant", "World", "create_app", "default_world", "serve"]
