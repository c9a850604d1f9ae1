. /lab/scenario/runs_on.sh
runs_on 'has 2 MiB or more'
must_not "$provider" check /oem/90_custom.yaml
