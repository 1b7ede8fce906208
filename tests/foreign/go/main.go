// Command sumdb reads, checks and writes transparency logs with Go's own packages for them, golang.org/x/mod/sumdb/note
// and golang.org/x/mod/sumdb/tlog. It takes {"jobs": [...]} on its standard input and answers on its standard output,
// as tests/foreign/adapters/jobs.py describes. Everything that judges is theirs. Ours is what they have no name for: the
// paths (tlog puts the tile height into them, and calls an entry bundle a data tile), the entry bundles' framing, and
// the first line of a checkpoint, which ParseTree expects to be go.sum's.
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

var version = "unknown" // of golang.org/x/mod, set by the linker

type inclusion struct {
	Index  int64    `json:"index"`
	Hashes [][]byte `json:"hashes"`
}

type consistency struct {
	Size   int64    `json:"size"`
	Root   []byte   `json:"root"`
	Hashes [][]byte `json:"hashes"`
}

type job struct {
	Op          string        `json:"op"`
	Folder      string        `json:"folder"`
	Origin      string        `json:"origin"`
	Keys        []string      `json:"keys"`
	Inclusions  []inclusion   `json:"inclusions"`
	Consistency []consistency `json:"consistency"`
	Notes       [][]byte      `json:"notes"`
	Entries     [][]byte      `json:"entries"`
	Private     string        `json:"private"`
}

type head struct {
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	Root   []byte `json:"root"`
}

type result struct {
	Head     *head     `json:"head,omitempty"`
	Checked  int       `json:"checked"`
	Verdicts []verdict `json:"verdicts,omitempty"`
	Error    string    `json:"error,omitempty"`
}

type verdict struct {
	Head  *head  `json:"head,omitempty"`
	Error string `json:"error,omitempty"`
}

func main() {
	var request struct {
		Jobs []job `json:"jobs"`
	}
	if err := json.NewDecoder(os.Stdin).Decode(&request); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	answer := struct {
		Version string   `json:"version"`
		Results []result `json:"results"`
	}{Version: fmt.Sprintf("golang.org/x/mod %s, %s", version, runtime.Version())}
	for _, j := range request.Jobs {
		operation, known := map[string]func(job) (result, error){"read": read, "notes": notes, "write": write}[j.Op]
		if !known {
			fmt.Fprintln(os.Stderr, "no operation", j.Op)
			os.Exit(2)
		}
		r, err := operation(j)
		if err != nil {
			r = result{Error: err.Error()}
		}
		answer.Results = append(answer.Results, r)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func notes(j job) (result, error) {
	var r result
	for _, data := range j.Notes {
		_, h, err := open(data, j)
		if err != nil {
			r.Verdicts = append(r.Verdicts, verdict{Error: err.Error()})
		} else {
			r.Verdicts = append(r.Verdicts, verdict{Head: h})
		}
	}
	return r, nil
}

func open(data []byte, j job) (tlog.Tree, *head, error) {
	var keys []note.Verifier
	for _, key := range j.Keys {
		verifier, err := note.NewVerifier(key)
		if err != nil {
			return tlog.Tree{}, nil, err
		}
		keys = append(keys, verifier)
	}
	opened, err := note.Open(data, note.VerifierList(keys...))
	if err != nil {
		return tlog.Tree{}, nil, err
	}
	rest := strings.TrimPrefix(opened.Text, j.Origin+"\n")
	if rest == opened.Text {
		return tlog.Tree{}, nil, errors.New("another origin")
	}
	tree, err := tlog.ParseTree([]byte("go.sum database tree\n" + rest))
	if err != nil {
		return tlog.Tree{}, nil, err
	}
	return tree, &head{j.Origin, tree.N, tree.Hash[:]}, nil
}

// folder reads a log's tiles. ReadTiles is asked for the widths that the tree has, which is what a log serves.
type folder string

func (f folder) Height() int                      { return height }
func (f folder) SaveTiles([]tlog.Tile, [][]byte)  {}
func (f folder) file(t tlog.Tile) ([]byte, error) { return os.ReadFile(f.path(t)) }
func (f folder) path(t tlog.Tile) string          { return filepath.Join(string(f), path(t)) }
func (f folder) ReadTiles(tiles []tlog.Tile) (data [][]byte, err error) {
	for _, t := range tiles {
		content, err := f.file(t)
		if err != nil {
			return nil, err
		}
		data = append(data, content)
	}
	return data, nil
}

// path is tlog's own path in the words of tlog-tiles: without the height, and "entries" for "data".
func path(t tlog.Tile) string {
	rest := strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", t.H))
	if t.L == -1 {
		rest = "entries/" + strings.TrimPrefix(rest, "data/")
	}
	return "tile/" + rest
}

// tiles are those of a tree of n records at one level, with the widths that they have in it.
func tiles(level int, n int64) []tlog.Tile {
	if level > 0 {
		n >>= uint(height * level)
	}
	var all []tlog.Tile
	for first := int64(0); first<<height < n; first++ {
		width := n - first<<height
		if width > 1<<height {
			width = 1 << height
		}
		all = append(all, tlog.Tile{H: height, L: level, N: first, W: int(width)})
	}
	return all
}

// stored are the hashes of a tree, as tlog stores them, from its records.
type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hashes[i] = s[index]
	}
	return hashes, nil
}

func (s *stored) add(n int64, record []byte) error {
	hashes, err := tlog.StoredHashes(n, record, *s)
	*s = append(*s, hashes...)
	return err
}

func read(j job) (result, error) {
	data, err := os.ReadFile(filepath.Join(j.Folder, "checkpoint"))
	if err != nil {
		return result{}, err
	}
	tree, h, err := open(data, j)
	if err != nil {
		return result{}, fmt.Errorf("checkpoint: %w", err)
	}
	files := folder(j.Folder)
	served := tlog.TileHashReader(tree, files)
	r := result{Head: h}

	// The entries give the tree's hash.
	var entries stored
	for _, t := range tiles(-1, tree.N) {
		records, err := bundle(files, t)
		if err != nil {
			return result{}, fmt.Errorf("%s: %w", path(t), err)
		}
		for i, record := range records {
			if err := entries.add(t.N<<height+int64(i), record); err != nil {
				return result{}, err
			}
		}
		r.Checked++
	}
	if hash, err := tlog.TreeHash(tree.N, entries); err != nil || hash != tree.Hash {
		return result{}, fmt.Errorf("the entries' tree hash is %v, not the checkpoint's (%v)", hash, err)
	}

	// Every tile is authenticated by TileHashReader, and holds the hashes that the entries give. The second is no
	// luxury: before x/mod 0.40, TileHashReader let altered full tiles pass (CVE-2026-56865), and Debian 12 has 0.7.
	for level := 0; tree.N>>uint(height*level) > 0; level++ {
		for _, t := range tiles(level, tree.N) {
			hashes, err := tlog.ReadTileData(t, served)
			if err != nil {
				return result{}, fmt.Errorf("%s: %w", path(t), err)
			}
			if wanted, err := tlog.ReadTileData(t, entries); err != nil || !bytes.Equal(hashes, wanted) {
				return result{}, fmt.Errorf("%s: not the hashes of the entries (%v)", path(t), err)
			}
			r.Checked++
		}
	}

	// Proofs: theirs from our tiles are the ones that we make, and prove what they are to prove.
	for _, ours := range j.Inclusions {
		proof, err := tlog.ProveRecord(tree.N, ours.Index, served)
		if err != nil {
			return result{}, err
		}
		if !same(proof, ours.Hashes) {
			return result{}, fmt.Errorf("inclusion proof of %d differs", ours.Index)
		}
		leaf := entries[tlog.StoredHashIndex(0, ours.Index)]
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, ours.Index, leaf); err != nil {
			return result{}, fmt.Errorf("inclusion of %d: %w", ours.Index, err)
		}
		r.Checked++
	}
	for _, ours := range j.Consistency {
		proof, err := tlog.ProveTree(tree.N, ours.Size, served)
		if err != nil {
			return result{}, err
		}
		if !same(proof, ours.Hashes) {
			return result{}, fmt.Errorf("consistency proof from %d differs", ours.Size)
		}
		var old tlog.Hash
		copy(old[:], ours.Root)
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, ours.Size, old); err != nil {
			return result{}, fmt.Errorf("consistency with %d: %w", ours.Size, err)
		}
		r.Checked++
	}
	return r, nil
}

func same(proof []tlog.Hash, hashes [][]byte) bool {
	if len(proof) != len(hashes) {
		return false
	}
	for i := range proof {
		if !bytes.Equal(proof[i][:], hashes[i]) {
			return false
		}
	}
	return true
}

func bundle(files folder, t tlog.Tile) ([][]byte, error) {
	data, err := files.file(t)
	if err != nil {
		return nil, err
	}
	var records [][]byte
	for len(data) >= 2 {
		length := int(binary.BigEndian.Uint16(data))
		if len(data) < 2+length {
			return nil, errors.New("cut inside an entry")
		}
		records = append(records, data[2:2+length])
		data = data[2+length:]
	}
	if len(data) > 0 || len(records) != t.W {
		return nil, fmt.Errorf("%d entries, not %d, and %d bytes left over", len(records), t.W, len(data))
	}
	return records, nil
}

func write(j job) (result, error) {
	signer, err := note.NewSigner(j.Private)
	if err != nil {
		return result{}, err
	}
	var entries stored
	for i, record := range j.Entries {
		if err := entries.add(int64(i), record); err != nil {
			return result{}, err
		}
	}
	size := int64(len(j.Entries))
	files := folder(j.Folder)
	for level := -1; level < 1 || size>>uint(height*level) > 0; level++ {
		for _, t := range tiles(level, size) {
			var data []byte
			if level == -1 {
				for _, record := range j.Entries[t.N<<height : t.N<<height+int64(t.W)] {
					data = append(binary.BigEndian.AppendUint16(data, uint16(len(record))), record...)
				}
			} else if data, err = tlog.ReadTileData(t, entries); err != nil {
				return result{}, err
			}
			if err := os.MkdirAll(filepath.Dir(files.path(t)), 0o777); err != nil {
				return result{}, err
			}
			if err := os.WriteFile(files.path(t), data, 0o666); err != nil {
				return result{}, err
			}
		}
	}
	hash, err := tlog.TreeHash(size, entries)
	if err != nil {
		return result{}, err
	}
	text := j.Origin + strings.TrimPrefix(string(tlog.FormatTree(tlog.Tree{N: size, Hash: hash})), "go.sum database tree")
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return result{}, err
	}
	return result{Head: &head{j.Origin, size, hash[:]}}, os.WriteFile(filepath.Join(j.Folder, "checkpoint"), signed, 0o666)
}
