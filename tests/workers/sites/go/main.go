// What every worker's test application does, for net/http.
package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	"site/drawbar"
)

func text(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "text/plain")
	io.WriteString(w, body)
}

func begin(w http.ResponseWriter) {
	text(w, "first\n")
	w.(http.Flusher).Flush()
}

func upgrade(w http.ResponseWriter, r *http.Request) {
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	for {
		line, err := buffered.ReadString('\n')
		if err != nil {
			return
		}
		io.WriteString(conn, strings.ToUpper(line))
	}
}

func main() {
	binary := make([]byte, 256)
	for at := range binary {
		binary[at] = byte(at)
	}
	pages := map[string]http.HandlerFunc{
		"/hello": func(w http.ResponseWriter, r *http.Request) { text(w, "hello") },
		"/echo": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Method", r.Method)
			w.Header().Set("X-Path", r.URL.Path)
			w.Header().Set("X-Query", r.URL.RawQuery)
			w.Header().Set("X-Cookie", r.Header.Get("Cookie"))
			w.Header().Set("X-Many", strings.Join(r.Header["X-Many"], ", "))
			// All of it first: net/http does not read on once a response has begun.
			body, _ := io.ReadAll(r.Body)
			w.Write(body)
		},
		"/about": func(w http.ResponseWriter, r *http.Request) {
			host := strings.Replace(r.Host, ":", " ", 1)
			text(w, fmt.Sprint(r.Header.Get("X-Forwarded-Proto"), " ", host, " ", r.Header.Get("X-Forwarded-For")))
		},
		"/cookies": func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Set-Cookie"] = []string{"a=1", "b=2"}
		},
		"/binary":  func(w http.ResponseWriter, r *http.Request) { w.Write(bytes.Repeat(binary, 4096)) },
		"/nothing": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"/stream": func(w http.ResponseWriter, r *http.Request) {
			begin(w)
			second, _ := os.ReadFile(r.URL.RawQuery)
			w.Write(second)
		},
		"/fail":       func(w http.ResponseWriter, r *http.Request) { panic("on purpose") },
		"/fail-late":  func(w http.ResponseWriter, r *http.Request) { begin(w); panic("too late") },
		"/bad-header": func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Bad", "a\rb: c") },
		"/upgrade":    upgrade,
	}
	err := drawbar.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if page, known := pages[r.URL.Path]; known {
			page(w, r)
		} else {
			http.NotFound(w, r)
		}
	}))
	if err != nil {
		log.Fatal(err)
	}
}
