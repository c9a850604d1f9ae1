// What a site has beside its nodes: a registry with TLS, whose CA nobody knows, and a proxy for what is outside. Usage: services PROGRAM DIRECTORY
//
// The registry has one image, lab/app:1, of the given program. It serves on port 5443, as registry.lab with a password, as outside.example without
// one; nobody can reach the latter but through the proxy, on port 3128. DIRECTORY gets ca.pem, and proxy.log: a line for each request.
package main

import (
	"archive/tar"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const (
	registry = ":5443"
	proxy    = ":3128"
	inside   = "registry.lab"
	outside  = "outside.example"
	user     = "lab"
	password = "SECRET-of-the-registry"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

// certificate makes a CA, and what it signs for both names.
func certificate() (ca []byte, of tls.Certificate) {
	template := func(names ...string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "lab " + strings.Join(names, " ")}, DNSNames: names,
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), BasicConstraintsValid: true, IsCA: len(names) == 0,
			KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}
	}
	root, leaf := template(), template(inside, outside)
	rootKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	leafKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	rootBytes := must(x509.CreateCertificate(rand.Reader, root, root, &rootKey.PublicKey, rootKey))
	leafBytes := must(x509.CreateCertificate(rand.Reader, leaf, root, &leafKey.PublicKey, rootKey))
	ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootBytes})
	return ca, tls.Certificate{Certificate: [][]byte{leafBytes}, PrivateKey: leafKey}
}

type blob struct {
	kind  string
	bytes []byte
}

func (b blob) digest() string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b.bytes)) }

func (b blob) descriptor() map[string]any {
	return map[string]any{"mediaType": b.kind, "digest": b.digest(), "size": len(b.bytes)}
}

// image gives manifest, configuration and layer, by digest, and the manifest by its tag.
func image(program string) map[string]blob {
	var archive bytes.Buffer
	file := must(os.ReadFile(program))
	writer := tar.NewWriter(&archive)
	must(0, writer.WriteHeader(&tar.Header{Name: "app", Mode: 0o755, Size: int64(len(file))}))
	must(writer.Write(file))
	must(0, writer.Close())
	text := func(kind string, value any) blob { return blob{kind, must(json.Marshal(value))} }
	layer := blob{"application/vnd.oci.image.layer.v1.tar", archive.Bytes()}
	config := text("application/vnd.oci.image.config.v1+json", map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{"Entrypoint": []string{"/app"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{layer.digest()}},
	})
	manifest := text("application/vnd.oci.image.manifest.v1+json", map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": config.descriptor(), "layers": []any{layer.descriptor()},
	})
	return map[string]blob{"1": manifest, manifest.digest(): manifest, config.digest(): config, layer.digest(): layer}
}

func serve(blobs map[string]blob) http.HandlerFunc {
	return func(answer http.ResponseWriter, request *http.Request) {
		if name, word, _ := request.BasicAuth(); strings.HasPrefix(request.Host, inside) && (name != user || word != password) {
			answer.Header().Set("WWW-Authenticate", `Basic realm="lab"`)
			http.Error(answer, "who are you?", http.StatusUnauthorized)
			return
		}
		rest, isImage := strings.CutPrefix(request.URL.Path, "/v2/lab/app/")
		_, name, _ := strings.Cut(rest, "/")
		found, isThere := blobs[name]
		switch {
		case request.URL.Path == "/v2/":
		case isImage && isThere:
			answer.Header().Set("Content-Type", found.kind)
			answer.Header().Set("Docker-Content-Digest", found.digest())
			answer.Header().Set("Content-Length", strconv.Itoa(len(found.bytes)))
			if request.Method != http.MethodHead {
				_, _ = answer.Write(found.bytes)
			}
		default:
			http.NotFound(answer, request)
		}
	}
}

// forward says what it was asked for, and leads to the registry whoever wants to go there.
func forward(requests *log.Logger) http.HandlerFunc {
	return func(answer http.ResponseWriter, request *http.Request) {
		requests.Printf("%s %s", request.Method, request.Host)
		if request.Method != http.MethodConnect || request.Host != outside+registry {
			http.Error(answer, "not allowed", http.StatusForbidden)
			return
		}
		there, err := net.Dial("tcp", "localhost"+registry)
		if err != nil {
			http.Error(answer, err.Error(), http.StatusBadGateway)
			return
		}
		answer.WriteHeader(http.StatusOK)
		here, _, err := answer.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		go func() {
			_, _ = io.Copy(there, here)
			there.Close()
		}()
		_, _ = io.Copy(here, there)
		here.Close()
	}
}

func main() {
	program, directory := os.Args[1], os.Args[2]
	ca, own := certificate()
	file := must(os.Create(filepath.Join(directory, "proxy.log")))
	listener := must(tls.Listen("tcp", registry, &tls.Config{Certificates: []tls.Certificate{own}, NextProtos: []string{"http/1.1"}}))
	forwarder := must(net.Listen("tcp", proxy))
	// Whoever sees it may go there.
	must(0, os.WriteFile(filepath.Join(directory, "ca.new"), ca, 0o644))
	must(0, os.Rename(filepath.Join(directory, "ca.new"), filepath.Join(directory, "ca.pem")))
	go func() { log.Fatal(http.Serve(listener, serve(image(program)))) }()
	log.Fatal(http.Serve(forwarder, forward(log.New(file, "", 0))))
}
