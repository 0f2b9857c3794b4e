"""The script of faults: which one applies to a request."""

import threading
from dataclasses import dataclass, field

from copernicus_dataspace_emulator.faults.kinds import KINDS, Call, Fault
from copernicus_dataspace_emulator.http.messages import Request, Response, Service


@dataclass(slots=True)
class Faults:
    """Pending faults; the first that matches a request applies."""

    pending: list[Fault] = field(default_factory=list)
    _seen: dict[int, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, fault: Fault) -> None:
        """Add a fault."""
        self.pending.append(fault)

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self.pending.clear()
            self._seen.clear()

    def answer(self, service: Service, request: Request) -> Response:
        """Return the service's response, modified by the fault that applies."""
        fault = self._take(service.name, request)
        call = Call(service, request)
        return call.proceed() if fault is None else KINDS[fault.kind](fault, call)

    def _take(self, service: str, request: Request) -> Fault | None:
        with self._lock:
            for place, fault in enumerate(self.pending):
                if not fault.befalls(service, request):
                    continue
                seen = self._seen[place] = self._seen.get(place, 0) + 1
                if fault.skip < seen and (fault.times is None or seen <= fault.skip + fault.times):
                    return fault
        return None
