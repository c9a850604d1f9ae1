package main

// The file with the schema of SARIF comes with it.
import _ "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
