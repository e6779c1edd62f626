// golang.org/x/mod/sumdb/tlog as a peer: times inclusion proofs over hashes in memory, or derives a log from its files.
//
//	tlog_peer proofs COUNT PROOFS   prints seconds, one per line
//	tlog_peer log FOLDER            compares every tile of level 0 and the checkpoint's root; exit code 1 if they differ
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

var hashes []tlog.Hash

var reader = tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for n, index := range indexes {
		found[n] = hashes[index]
	}
	return found, nil
})

func main() {
	if os.Args[1] == "log" {
		derive(os.Args[2])
		return
	}
	count, err := strconv.ParseInt(os.Args[2], 10, 64)
	check(err)
	proofs, err := strconv.Atoi(os.Args[3])
	check(err)
	prove(count, proofs)
}

func prove(count int64, proofs int) {
	record := func(n int64) []byte { return []byte(strconv.FormatInt(n, 10) + strings.Repeat("a", 500)) }
	for n := int64(0); n < count; n++ {
		add(n, tlog.RecordHash(record(n)))
	}
	root, err := tlog.TreeHash(count, reader)
	check(err)
	for n := 0; n < proofs; n++ {
		index := rand.Int63n(count)
		data := record(index)
		began := time.Now()
		proof, err := tlog.ProveRecord(count, index, reader)
		check(err)
		check(tlog.CheckRecord(proof, count, root, index, tlog.RecordHash(data)))
		fmt.Println(time.Since(began).Seconds())
	}
}

func derive(folder string) {
	note, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	check(err)
	lines := strings.SplitN(string(note), "\n", 4)
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	stated, err := base64.StdEncoding.DecodeString(lines[2])
	check(err)
	for first := int64(0); first < size; first += 256 {
		width := size - first
		if width > 256 {
			width = 256
		}
		path := tlog.Tile{H: 8, L: 0, N: first / 256, W: int(width)}.Path()
		path = strings.TrimPrefix(path, "tile/8/0/")
		bundle, err := os.ReadFile(filepath.Join(folder, "tile/entries", path))
		check(err)
		tile, err := os.ReadFile(filepath.Join(folder, "tile/0", path))
		check(err)
		for n := int64(0); n < width; n++ {
			length := binary.BigEndian.Uint16(bundle)
			hash := tlog.RecordHash(bundle[2 : 2+length])
			if !bytes.Equal(hash[:], tile[n*32:n*32+32]) {
				check(fmt.Errorf("%s does not hold its entries", path))
			}
			bundle = bundle[2+length:]
			add(first+n, hash)
		}
	}
	root, err := tlog.TreeHash(size, reader)
	check(err)
	if !bytes.Equal(root[:], stated) {
		check(fmt.Errorf("the entries do not lead to the root"))
	}
}

func add(n int64, hash tlog.Hash) {
	added, err := tlog.StoredHashesForRecordHash(n, hash, reader)
	check(err)
	hashes = append(hashes, added...)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
