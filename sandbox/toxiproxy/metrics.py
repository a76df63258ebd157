"""Byte counters per direction and proxy, and their Prometheus text."""

from dataclasses import dataclass, field

NAMES = {
    "toxiproxy_proxy_received_bytes_total": "The total number of bytes read from the source of a link.",
    "toxiproxy_proxy_sent_bytes_total": "The total number of bytes written to the destination of a link.",
}


@dataclass(slots=True)
class Traffic:
    """Bytes of one direction of one proxy; the data path adds to it as bytes pass."""

    received_bytes: int = 0
    sent_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Labels:
    """What tells one series from another."""

    direction: str
    proxy: str
    listener: str
    upstream: str

    def text(self) -> str:
        values = {name: escape(getattr(self, name)) for name in self.__slots__}
        return ",".join(f'{name}="{value}"' for name, value in values.items())


@dataclass(slots=True)
class TrafficBook:
    """All series of this process; a series outlives its proxy, since a counter never goes back."""

    series: dict[Labels, Traffic] = field(default_factory=dict)

    def traffic(self, labels: Labels) -> Traffic:
        return self.series.setdefault(labels, Traffic())

    def exposition(self) -> str:
        """Prometheus text format 0.0.4."""
        lines: list[str] = []
        for name, description in NAMES.items():
            lines += [f"# HELP {name} {description}", f"# TYPE {name} counter"]
            for labels, traffic in self.series.items():
                value = traffic.received_bytes if "received" in name else traffic.sent_bytes
                lines.append(f"{name}{{{labels.text()}}} {value}")
        return "\n".join(lines) + "\n"


def escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
