"""Every client dialect against every kind of backend: what must arrive, and what cannot."""
