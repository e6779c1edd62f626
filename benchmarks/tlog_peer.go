// Times inclusion proofs of golang.org/x/mod/sumdb/tlog over hashes in memory: prints seconds, one per line.
package main

import (
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	count, err := strconv.ParseInt(os.Args[1], 10, 64)
	check(err)
	proofs, err := strconv.Atoi(os.Args[2])
	check(err)
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for n, index := range indexes {
			found[n] = hashes[index]
		}
		return found, nil
	})
	record := func(n int64) []byte { return []byte(strconv.FormatInt(n, 10) + strings.Repeat("a", 500)) }
	for n := int64(0); n < count; n++ {
		added, err := tlog.StoredHashes(n, record(n), reader)
		check(err)
		hashes = append(hashes, added...)
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

func check(err error) {
	if err != nil {
		panic(err)
	}
}
