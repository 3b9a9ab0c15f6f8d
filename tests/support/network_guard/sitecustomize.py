"""Records whom a process and its children call, and which programs they start; a call to another machine is refused.

Python imports this first, where the folder is on PYTHONPATH. NETWORK_RECORD names the file that gets a line for each:
the id of the process, the event, and the host or the program, as JSON. Audit events come from below every library.
"""

import ipaddress
import json
import os
import sys

_HOST_EVENTS = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
_ADDRESS_EVENTS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
_PROGRAM_EVENTS = {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system"}


def is_here(host):
    """Whether a host is this machine, by its name or address; so is a path of a local socket, and no host at all."""
    if not host or host == "localhost" or str(host).startswith(("/", "\0")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _record(event, arguments):
    if event in _HOST_EVENTS:
        asked = arguments[0]
    elif event in _ADDRESS_EVENTS:
        asked = arguments[1][0] if isinstance(arguments[1], tuple) else arguments[1]
    elif event in _PROGRAM_EVENTS:
        asked = arguments[1] if event == "subprocess.Popen" else arguments[0]
    else:
        return
    asked = asked.decode(errors="replace") if isinstance(asked, bytes) else asked
    line = json.dumps([os.getpid(), event, asked], default=str)
    descriptor = os.open(os.environ["NETWORK_RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)
    if event not in _PROGRAM_EVENTS and not is_here(asked):
        raise PermissionError(f"{event} of {asked}")


if "NETWORK_RECORD" in os.environ:
    sys.addaudithook(_record)
