"""The commands of ``sap-ai-proxy``, a module for each: its options, and what it prints.

What a command needs is imported when it runs, so that none waits for what another one needs.
"""
