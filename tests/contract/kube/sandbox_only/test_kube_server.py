"""The sandbox's API server lets nobody in without its token, and its kubeconfig is private."""

import json
import ssl
import urllib.error
import urllib.request

import pytest
from kube_clients import Kube
from kube_harness import RunningCluster, kubectl


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic Og=="])
def test_without_the_token_every_path_is_refused(cluster: RunningCluster, authorization: str | None) -> None:
    context = ssl.create_default_context(cafile=str(cluster.state_dir / "ca.pem"))
    for path in ("/api/v1/pods", "/version", "/api/v1/namespaces/media-gateway/pods/db-0/proxy/"):
        headers = {"Authorization": authorization} if authorization else {}
        request = urllib.request.Request(cluster.facts["api_url"] + path, headers=headers)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, context=context)
        with caught.value as answer:
            status = json.load(answer)
        assert (answer.code, status["reason"]) == (401, "Unauthorized")


def test_the_kubeconfig_is_private_and_names_the_namespace(kube: Kube) -> None:
    path = kube.backend.kubeconfig
    assert path.stat().st_mode & 0o777 == 0o600
    assert kubectl(path, "config", "view", "--minify", "-o", "jsonpath={..namespace}") == kube.namespace
