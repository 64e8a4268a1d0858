"""Proxies that the environment asks for, as curl understands it. Standard library only.

`http_proxy` and `https_proxy` name them by the scheme of the address that is asked for, `all_proxy`
those of both; `no_proxy` lists the hosts that are asked directly. Names in capital letters mean the
same, names in small letters win. Where a system keeps its proxies elsewhere, those are used.
"""

import base64
import dataclasses
import ipaddress
import re
import urllib.parse
import urllib.request
from typing import Final

from mmgenre.errors import UserError
from mmgenre.inputs import web_addresses
from mmgenre.inputs.web_addresses import Place

_HINT: Final = "mend the variable, or name the host in NO_PROXY"


@dataclasses.dataclass(frozen=True)
class Proxy:
    """A proxy.

    Attributes:
      place: where it is.
      user: that it asks for; "" for none.
      password: the same.
    """

    place: Place
    user: str = ""
    password: str = dataclasses.field(default="", repr=False)

    @property
    def address(self) -> str:
        """Its address, without user and password."""
        host = f"[{self.place.host}]" if ":" in self.place.host else self.place.host
        return f"{self.place.scheme}://{host}:{self.place.port}"

    @property
    def headers(self) -> dict[str, str]:
        """The header that tells it user and password, if it asks for them."""
        if not self.user and not self.password:
            return {}
        credentials = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return {"Proxy-Authorization": f"Basic {credentials}"}


def proxy_for(place: Place) -> Proxy | None:
    """Returns the proxy through which a place is to be asked, None for none.

    Raises:
      UserError: what the environment says cannot be read, or is no proxy for http.
    """
    found = urllib.request.getproxies()
    value = found.get(place.scheme) or found.get("all")
    if not value or _is_direct(place, found.get("no", "")):
        return None
    return _read(value, place.scheme)


def _is_direct(place: Place, no_proxy: str) -> bool:
    host = place.host.rstrip(".")
    for entry in re.split(r"[,\s]+", no_proxy.lower()):
        name = entry.strip("[]").lstrip(".").rstrip(".")
        if entry == "*" or (name and (host == name or host.endswith(f".{name}"))):
            return True
        if entry in (f"{host}:{place.port}", f"[{host}]:{place.port}"):
            return True
        try:
            if ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False):
                return True
        except ValueError:
            continue
    # The exceptions of macOS and Windows; elsewhere the same list again.
    return bool(urllib.request.proxy_bypass(host))


def _read(value: str, scheme: str) -> Proxy:
    address = value if "://" in value else f"http://{value}"
    try:
        place = web_addresses.parse(address)
    except ValueError as error:
        shown = address.rpartition("@")[2]
        raise UserError(
            f"the proxy for {scheme}, {shown!r}, cannot be used ({error}): {_HINT}"
        ) from None
    parts = urllib.parse.urlsplit(address)
    port = parts.port or (443 if place.scheme == "https" else 1080)  # curl's.
    user, password = (urllib.parse.unquote(part or "") for part in (parts.username, parts.password))
    return Proxy(dataclasses.replace(place, port=port), user, password)
