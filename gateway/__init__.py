"""The gateway layer, which does all I/O. The layers below it only make decisions."""
