#!/usr/bin/env bash
# Has Prefect tell a webhook (Slack, Mattermost, Discord's /slack address, or anything that takes JSON with a `text`) of failed and
# late runs. The address is a secret, so it comes by the environment, not as an argument:
#
#   NOTIFY_URL=https://hooks.slack.com/services/... deployments/automations.sh --profile live
#
# May be run again: block and automations of the same names are replaced.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-$here/../.venv/bin/python}
: "${NOTIFY_URL:?set NOTIFY_URL to the address that is to be told}"

environment=$("$python" -m pipeline.cli prefect "$@" --environment)
while IFS='=' read -r name value; do export "$name=$value"; done <<<"$environment"

"$python" - "$here/automations.yaml" <<'PYTHON'
import asyncio
import os
import subprocess
import sys
import tempfile

import yaml
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client

block = CustomWebhookNotificationBlock(name="spreadwatch", url=os.environ["NOTIFY_URL"], json_data={"text": "{{subject}}: {{body}}"})
block_id = str(block.save("spreadwatch", overwrite=True))
with open(sys.argv[1]) as file:
    text = file.read().replace("BLOCK_ID", block_id)


async def remove_old() -> None:
    async with get_client() as client:
        for wanted in yaml.safe_load(text)["automations"]:
            for old in await client.read_automations_by_name(wanted["name"]):
                await client.delete_automation(old.id)


asyncio.run(remove_old())
with tempfile.NamedTemporaryFile("w", suffix=".yaml") as filled:
    filled.write(text)
    filled.flush()
    sys.exit(subprocess.run([sys.executable, "-m", "prefect", "automation", "create", "--from-file", filled.name]).returncode)
PYTHON
