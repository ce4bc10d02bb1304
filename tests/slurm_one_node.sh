#!/bin/sh
# A real Slurm of one node, without systemd, for tests: sh tests/slurm_one_node.sh FOLDER, as root. It says "ready",
# stays in the foreground and ends its daemons when it is ended. Use it with: export SLURM_CONF=FOLDER/slurm.conf
# First: apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge
set -eu
mkdir -p "$1" && cd "$1" && here=$PWD && chmod 755 . && mkdir -p state spool munge
host=$(hostname -s)
port=$((20000 + $$ % 20000)) # beside another Slurm of this machine
dd if=/dev/urandom of=munge/key bs=1 count=1024 2>/dev/null
chmod 700 munge/key && chmod 755 munge
cat >slurm.conf <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmctldPort=$port
SlurmdPort=$((port + 1))
AuthType=auth/munge
AuthInfo=socket=$here/munge/socket
CredType=cred/munge
StateSaveLocation=$here/state
SlurmdSpoolDir=$here/spool
SlurmctldPidFile=$here/slurmctld.pid
SlurmdPidFile=$here/slurmd.pid
SlurmctldLogFile=$here/slurmctld.log
SlurmdLogFile=$here/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
KillWait=2
SchedulerParameters=sched_min_interval=100000,batch_sched_delay=0
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=1000 State=UNKNOWN
PartitionName=debug Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF="$here/slurm.conf"
daemons=
end() {
    trap - TERM INT EXIT
    for pid in $daemons; do kill "$pid" 2>/dev/null || true; done
    wait
}
trap end TERM INT EXIT
munged --force --foreground --key-file=munge/key --socket="$here/munge/socket" --pid-file="$here/munge/pid" \
    --log-file="$here/munge/log" --seed-file="$here/munge/seed" >munge/out 2>&1 &
daemons="$!"
while [ ! -S munge/socket ]; do sleep 0.1; kill -0 "$daemons"; done
slurmctld -D >slurmctld.out 2>&1 &
daemons="$! $daemons"
slurmd -D >slurmd.out 2>&1 &
daemons="$! $daemons"
until sinfo --noheader --format=%t 2>/dev/null | grep -q idle; do sleep 0.2; done
echo ready
wait
