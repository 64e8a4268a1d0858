#!/usr/bin/env bash
# Starts a real Slurm of one node on this machine, inside a container or not; as root.
#
#   tests/slurm_setup.sh <folder for its state and logs>
#
# Needs Debian's slurm-wlm and munge. The process ids of the daemons that it starts go to <folder>/pids;
# SLURM_CONF must point to <folder>/slurm.conf for sbatch, squeue and the rest.
set -euo pipefail

folder=$(realpath "${1:?"usage: tests/slurm_setup.sh <folder>"}")
mkdir -p "$folder"/{state,spool,log}
for program in slurmctld slurmd munged; do
  command -v "$program" >/dev/null || { echo "error: $program is missing" >&2; exit 2; }
done

# munge signs the messages between the daemons; it insists on its own user and folders.
[[ -s /etc/munge/munge.key ]] || dd if=/dev/urandom of=/etc/munge/munge.key bs=1024 count=1 status=none
install -d -o munge -g munge -m 0755 /run/munge
install -d -o munge -g munge -m 0700 /var/log/munge /var/lib/munge /etc/munge
chown munge:munge /etc/munge/munge.key
chmod 400 /etc/munge/munge.key
munged_pid=
if ! munge -n >/dev/null 2>&1; then
  setpriv --reuid munge --regid munge --clear-groups munged
  munged_pid=/run/munge/munged.pid
fi

host=$(hostname -s)
memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
cat >"$folder/slurm.conf" <<END
ClusterName=mmgenre
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=${SLURMCTLD_PORT:-16817}
SlurmdPort=${SLURMD_PORT:-16818}
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
# What a container allows: no cgroups.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
JobRequeue=1
KillWait=60
MinJobAge=3600
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
# Four CPUs, whatever there is: what is tested is the protocol, and two tasks shall fit anywhere.
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
END
export SLURM_CONF=$folder/slurm.conf
slurmctld -i
slurmd
for _ in {1..60}; do
  if [[ $(sinfo --noheader --format %t 2>/dev/null) == idle* ]]; then
    cat "$folder/slurmctld.pid" "$folder/slurmd.pid" $munged_pid >"$folder/pids"
    exit 0
  fi
  sleep 1
done
echo "error: the node is not idle; see $folder/log" >&2
tail -5 "$folder"/log/*.log >&2
exit 1
