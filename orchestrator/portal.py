"""The one loop thread of a run, and the way into it from the threads of Chaos Toolkit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
END_WITHIN_S = 5.0


class LoopThread:
    """An asyncio loop in a thread of its own, so that signals in the main thread never cut it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, name="run-loop", daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start the work in the loop; the caller may wait on the future."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def call(self, work: Coroutine[Any, Any, T], *, timeout_s: float) -> T:
        """Run the work in the loop and wait. Raises what it raises, or TimeoutError."""
        future = self.submit(work)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            future.cancel()
            raise

    def close(self) -> bool:
        """Cancel what still runs and end the thread; False when it hangs, and may still do what it was at."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(END_WITHIN_S)
        return not self._thread.is_alive()

    def _work(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            left = asyncio.all_tasks(self.loop)
            for task in left:
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()
