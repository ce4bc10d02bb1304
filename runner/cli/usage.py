"""What `--help` says, around the groups and the spec."""

HELP = """python -m runner [key=value ...]   run one spec; -m sweeps over key=a,b
python -m runner resume SWEEP      go on with a sweep that was ended
python -m runner rerun RUN_ID      repeat a run from its logged spec and tell what differs
python -m runner sync              log run directories that the store does not have
python -m runner compare [SWEEP]   tell what the jobs of a sweep say beside each other
python -m runner audit [...]       try every column of a spec for look-ahead, thoroughly
python -m runner check [...]       read the data of a spec without running it: what is in it, a page
python -m runner snapshot [...]    fetch the data of a spec (data=yahoo) without running it
python -m runner list [GROUP]      list the groups, or the options of one with what they are
python -m runner help GROUP/OPTION show an option with the meaning of every setting
python -m runner cache [--empty]   tell how much the processes of sweeps share on disk, or empty it
python -m runner ui [RUN_ID]       open the MLflow UI on the newest runs, a run, or --sweep SWEEP

Groups, chosen by group=option:
{groups}

The spec, every value of which can be overridden by key=value:
{spec}

--version         print versions
--cfg job         show the spec that would run       --config-dir DIR   your configs beside ours
--hydra-help      every flag                         --config-path DIR  your configs instead of ours
--json            print one JSON object              --quiet            print nothing but errors
Tab completion in bash: eval "$(python -m runner -sc install=bash)"
"""
