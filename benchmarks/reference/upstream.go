// The upstream of the benchmark: reads the body, waits, answers with a body of a given size, or of as many bytes as the
// query asks for (?bytes=N).
//
//	go run upstream.go -listen 127.0.0.1:9091 -bytes 256 -delay 0s
package main

import (
	"bytes"
	"flag"
	"io"
	"log"
	"net/http"
	"strconv"
	"strings"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9091", "address to serve on")
	size := flag.Int("bytes", 256, "size of the answer")
	delay := flag.Duration("delay", 0, "time to wait before answering")
	flag.Parse()

	answer := bytes.Repeat([]byte("x"), *size)
	large := bytes.Repeat([]byte("x"), 16<<20)
	length := strconv.Itoa(*size)
	log.Fatal(http.ListenAndServe(*listen, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, length := answer, length
		if _, asked, found := strings.Cut(r.URL.RawQuery, "bytes="); found && asked != length {
			if wanted, err := strconv.Atoi(asked); err == nil && wanted <= len(large) {
				answer, length = large[:wanted], asked
			}
		}
		io.Copy(io.Discard, r.Body)
		if *delay > 0 {
			time.Sleep(*delay)
		}
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Length", length)
		w.Write(answer)
	})))
}
