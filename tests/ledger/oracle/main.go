// Answers questions about Merkle trees with golang.org/x/mod/sumdb/tlog, which is not ours: JSON lines in, JSON lines out.
// Leaf i of the trees is the record of the decimal digits of i.
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

type request struct {
	Do    string   `json:"do"` // prove, record, tree, tiles
	Size  int64    `json:"size"`
	Index int64    `json:"index"`
	Old   int64    `json:"old"`
	Root  string   `json:"root"`
	Hash  string   `json:"hash"` // of the record, or the root of the old tree
	Proof []string `json:"proof"`
	Tiles string   `json:"tiles"` // a folder in the form of C2SP tlog-tiles
}

type answer struct {
	Root        string   `json:"root,omitempty"`
	OldRoot     string   `json:"old_root,omitempty"`
	Inclusion   []string `json:"inclusion"`
	Consistency []string `json:"consistency"`
	Holds       bool     `json:"holds"`
	Why         string   `json:"why,omitempty"`
}

var (
	stored []tlog.Hash
	leaves int64
)

func read(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, 0, len(indexes))
	for _, index := range indexes {
		found = append(found, stored[index])
	}
	return found, nil
}

func grow(size int64) {
	for ; leaves < size; leaves++ {
		hashes, err := tlog.StoredHashes(leaves, []byte(strconv.FormatInt(leaves, 10)), tlog.HashReaderFunc(read))
		if err != nil {
			panic(err)
		}
		stored = append(stored, hashes...)
	}
}

func texts(hashes []tlog.Hash) []string {
	found := []string{}
	for _, hash := range hashes {
		found = append(found, hex.EncodeToString(hash[:]))
	}
	return found
}

func hash(text string) (made tlog.Hash) {
	data, err := hex.DecodeString(text)
	if err != nil || len(data) != len(made) {
		panic("not a hash: " + text)
	}
	copy(made[:], data)
	return made
}

func hashes(all []string) []tlog.Hash {
	found := []tlog.Hash{}
	for _, text := range all {
		found = append(found, hash(text))
	}
	return found
}

// folder reads tiles as C2SP names them: Go's own names with the height left out.
type folder string

func (f folder) Height() int                               { return 8 }
func (f folder) SaveTiles(tiles []tlog.Tile, data [][]byte) {}
func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	found := [][]byte{}
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(string(f), path))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func solve(asked request) (told answer, err error) {
	reader := tlog.HashReader(tlog.HashReaderFunc(read))
	switch asked.Do {
	case "record":
		return told, tlog.CheckRecord(hashes(asked.Proof), asked.Size, hash(asked.Root), asked.Index, hash(asked.Hash))
	case "tree":
		return told, tlog.CheckTree(hashes(asked.Proof), asked.Size, hash(asked.Root), asked.Old, hash(asked.Hash))
	case "tiles":
		reader = tlog.TileHashReader(tlog.Tree{N: asked.Size, Hash: hash(asked.Root)}, folder(asked.Tiles))
	default:
		grow(asked.Size)
	}
	root, err := tlog.TreeHash(asked.Size, reader)
	if err != nil {
		return told, err
	}
	old, err := tlog.TreeHash(asked.Old, reader)
	if err != nil {
		return told, err
	}
	inclusion, err := tlog.ProveRecord(asked.Size, asked.Index, reader)
	if err != nil {
		return told, err
	}
	consistency, err := tlog.ProveTree(asked.Size, asked.Old, reader)
	if err != nil {
		return told, err
	}
	told.Root, told.OldRoot = hex.EncodeToString(root[:]), hex.EncodeToString(old[:])
	told.Inclusion, told.Consistency = texts(inclusion), texts(consistency)
	return told, nil
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var asked request
		if err := json.Unmarshal(line, &asked); err != nil {
			panic(err)
		}
		told, err := solve(asked)
		told.Holds = err == nil
		if err != nil {
			told.Why = err.Error()
		}
		text, err := json.Marshal(told)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(text))
	}
}
