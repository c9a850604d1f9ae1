// Package version has the path of the variable that RKE2's build sets.
package version

// Version is set by the linker.
var Version = "dev"
