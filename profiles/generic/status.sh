#!/bin/sh
# State of a job of the scheduler, as cluster-generic wants it: running, success or failed. Here for SLURM.
# A job that is called failed is submitted again, and must not be at work any more. So only states that end a job count as
# failed, and a scheduler that does not answer, or no longer knows the job, is asked again for an hour.
state=$(scontrol --oneliner show job "$1" 2>/dev/null | tr ' ' '\n' | sed -n 's/^JobState=//p')
silent=results/logs/cluster/$1.silent # has the time of the first question without an answer
case $state in
COMPLETED) echo success ;;
CANCELLED* | DEADLINE | *FAIL* | OUT_OF_MEMORY | PREEMPTED | REVOKED | TIMEOUT) echo failed ;;
"")
  [ -e "$silent" ] || touch "$silent"
  if [ -n "$(find "$silent" -mmin +60)" ]; then echo failed; else echo running; fi
  exit
  ;;
*) echo running ;;
esac
rm -f "$silent"
