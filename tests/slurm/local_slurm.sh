#!/usr/bin/env bash
# A SLURM of one node on this machine, bound to loopback, for tests. Debian 12: apt-get install slurm-wlm munge. Root only.
# usage: local_slurm.sh up FOLDER | local_slurm.sh down FOLDER      (FOLDER holds its state, logs and process ids)
set -euo pipefail
state=$(realpath -m "$2")
host=$(hostname -s)

case $1 in
up)
  if [ -e /etc/slurm/slurm.conf ] && ! grep -q "^# tests/slurm/local_slurm.sh" /etc/slurm/slurm.conf; then
    echo "/etc/slurm/slurm.conf belongs to another SLURM; this script would replace it." >&2
    exit 1
  fi
  # What a run that was killed left behind.
  if [ -e /etc/slurm/slurm.conf ]; then "$0" down "$(sed -n 's|^StateSaveLocation=\(.*\)/controller|\1|p' /etc/slurm/slurm.conf)"; fi
  mkdir -p "$state/controller" "$state/node" /etc/slurm
  install -d -o munge -g munge -m 0755 /run/munge
  if [ ! -s /etc/munge/munge.key ]; then
    install -o munge -g munge -m 0400 <(head -c 1024 /dev/urandom) /etc/munge/munge.key
  fi
  pgrep -u munge -x munged >/dev/null || runuser -u munge -- munged
  # The executor plugin drops SLURM_CONF before the innermost srun, so the configuration lies where everyone looks.
  # - linuxproc, task/none, jobacct_gather/none: no cgroups; time limits are enforced, memory and CPUs only counted.
  # - config_overrides: the node claims 4 CPUs, 16 GB and a GPU whatever the machine has, so requests are the same everywhere.
  # - no accounting: the case in which the plugin waits for ever unless the profile names squeue.
  cat >/etc/slurm/slurm.conf <<CONF
# tests/slurm/local_slurm.sh
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation=$state/controller
SlurmdSpoolDir=$state/node
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/slurmctld.log
SlurmdLogFile=$state/slurmd.log
SlurmdParameters=config_overrides
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MinJobAge=600
ReturnToService=2
KillWait=5
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 RealMemory=16000 Gres=gpu:1 State=UNKNOWN
PartitionName=cpu Nodes=$host Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=$host MaxTime=INFINITE State=UP
CONF
  # Without File= the node is drained, since it has no GPU; a pretend one is enough for what is scheduled.
  echo "NodeName=$host Name=gpu File=/dev/null" >/etc/slurm/gres.conf
  slurmctld -c
  slurmd
  for _ in $(seq 40); do
    if [ "$(sinfo -h -o %T | sort -u)" = idle ]; then exit 0; fi
    sleep 0.5
  done
  sinfo >&2
  tail -n 20 "$state"/*.log >&2
  exit 1
  ;;
down)
  scancel --state=PENDING --state=RUNNING --user=root 2>/dev/null || true
  for file in "$state/slurmd.pid" "$state/slurmctld.pid" /run/munge/munged.pid; do
    if [ -s "$file" ]; then
      pid=$(cat "$file")
      kill "$pid" || true
      timeout 20 tail --pid="$pid" -f /dev/null || true # until it is gone
    fi
  done
  rm -f /etc/slurm/slurm.conf /etc/slurm/gres.conf # else every snakemake asks the controller that is gone, for 10 s
  ;;
*)
  echo "usage: $0 up|down FOLDER" >&2
  exit 2
  ;;
esac
