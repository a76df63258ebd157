"""Programs that measure how right the verdict is. No part of a run belongs here: they use the public commands and the judge."""
