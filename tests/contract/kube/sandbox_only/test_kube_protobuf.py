"""Bodies in Kubernetes' protobuf form that are not whole. What kubectl really sends is in test_kube_kubectl.py."""

import pytest

from sandbox.kube import protobuf

CUT_OFF, NO_KIND, LONGER_THAN_ITS_MESSAGE = b"\x80", b"", b"\x0a\x7f"


@pytest.mark.parametrize("body", [b"nonsense", *(protobuf.MAGIC + rest for rest in (CUT_OFF, NO_KIND, LONGER_THAN_ITS_MESSAGE))])
def test_a_body_that_is_not_whole_cannot_be_read(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        protobuf.read(body)
