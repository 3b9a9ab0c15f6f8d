"""A small SAP AI Core to try things against: tokens, deployments and every inference protocol."""

from emulator.app import create_app
from emulator.server import Running, serve
from emulator.world import Deployment, Tenant, World, default_world

__all__ = ["Deployment", "Running", "Tenant", "World", "create_app", "default_world", "serve"]
