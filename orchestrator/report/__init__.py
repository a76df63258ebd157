"""Reports: pure renderings of `report.json` and the recording. Nothing here judges."""
