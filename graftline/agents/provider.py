"""Who answers an agent CLI's requests."""

from urllib.parse import urlsplit


def host_of(base_url: str, default: str) -> str:
    """The host and port of an API's address, or the default where there is no address or none that has a host."""
    try:
        return urlsplit(base_url).netloc.rpartition("@")[2] or default
    except ValueError:  # an address that is none, which the CLI itself will refuse
        return default
