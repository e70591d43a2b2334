#!/bin/sh
# State of a job of the scheduler, as cluster-generic wants it: running, success or failed. Here for SLURM.
case $(scontrol --oneliner show job "$1" | tr ' ' '\n' | grep '^JobState=') in
*=COMPLETED) echo success ;;
*=PENDING | *=CONFIGURING | *=RUNNING | *=COMPLETING | *=SUSPENDED | *=REQUEUED) echo running ;;
*) echo failed ;;
esac
