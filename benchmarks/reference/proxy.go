// A reverse proxy as a competent Go programmer would write it: the reference that the gateway's direct route is measured against.
//
//	go run proxy.go -listen 127.0.0.1:9090 -upstream http://127.0.0.1:9091 -token TOKEN
//
// It checks one constant bearer token in constant time, rewrites /run/<name> to /, keeps the upstream connections alive and
// writes one access-log line a request to the file named by -log (default: none). Pin it with taskset and GOMAXPROCS.
package main

import (
	"bufio"
	"crypto/subtle"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9090", "address to serve on")
	upstream := flag.String("upstream", "http://127.0.0.1:9091", "where to send requests")
	token := flag.String("token", "", "bearer token to require; empty for none")
	logTo := flag.String("log", "", "file for access-log lines; empty for none")
	flag.Parse()

	target, err := url.Parse(*upstream)
	if err != nil {
		log.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.URL.Path = "/"
			r.Out.Header.Del("Authorization")
			r.SetXForwarded()
		},
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			MaxIdleConns:        2048,
			MaxIdleConnsPerHost: 1024,
			IdleConnTimeout:     90 * time.Second,
			DisableCompression:  true,
		},
	}
	var lines *bufio.Writer
	var mutex sync.Mutex
	if *logTo != "" {
		file, err := os.Create(*logTo)
		if err != nil {
			log.Fatal(err)
		}
		lines = bufio.NewWriterSize(file, 1<<16)
	}
	want := []byte("Bearer " + *token)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		if *token != "" && subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
			http.Error(w, "invalid token", http.StatusUnauthorized)
			return
		}
		if !strings.HasPrefix(r.URL.Path, "/run/") {
			http.NotFound(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
		if lines != nil {
			mutex.Lock()
			fmt.Fprintf(lines, "%s %s %s %d\n", started.Format(time.RFC3339Nano), r.Method, r.URL.Path, time.Since(started).Microseconds())
			mutex.Unlock()
		}
	})
	log.Fatal((&http.Server{Addr: *listen, Handler: handler}).ListenAndServe())
}
