// A small program that is built as RKE2 is.
package main

import "github.com/k3s-io/k3s/pkg/version"

func main() { println(version.Version) }
