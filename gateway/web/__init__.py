"""The web page at `/`: its files, and its instructions for tools."""
