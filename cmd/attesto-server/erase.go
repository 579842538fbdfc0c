package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/attesto/attesto/evidence"
)

func (a *app) eraseCommand() *cobra.Command {
	var org, basis string
	var blobs []string
	var record int64
	var facts, detail, replay bool
	cmd := &cobra.Command{
		Use:   "erase --org ORG (--blob SHA256… | --record INDEX --detail [--facts]) --basis request|mistake",
		Short: "Delete facts or details for good; the log says that they were there",
		Long: `Delete facts or details for good, as when somebody asks for it whom they are
about. What remains still proves itself: signatures, log and verdicts stay, and an
entry of the log says what was erased, why and when.

Copies of the database from before still hold what was erased. After putting one
back run "attesto-server erase --replay", which deletes it again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				if replay {
					n, err := s.ReplayErasures(ctx)
					say(a.out, "%d blobs deleted again.\n", n)
					return err
				}
				list, err := digests(blobs)
				if err != nil {
					return misused(err)
				}
				if cmd.Flags().Changed("record") {
					more, err := s.BlobsOf(ctx, org, record, facts, detail)
					if err != nil {
						return err
					}
					list = append(list, more...)
				}
				if org == "" || len(list) == 0 {
					return misused(errors.New("say whose (--org) and what (--blob, or --record with --detail or --facts)"))
				}
				entries, err := s.EraseBlobs(ctx, org, list, basis, "")
				for _, index := range entries {
					say(a.out, "Erased; entry %d of the log says so.\n", index)
				}
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&org, "org", "", "organisation's `id`")
	f.StringSliceVar(&blobs, "blob", nil, "`SHA-256` of a blob, as a record names it")
	f.Int64Var(&record, "record", 0, "`index` of a record")
	f.BoolVar(&detail, "detail", false, "with --record: its details")
	f.BoolVar(&facts, "facts", false, "with --record: its facts, which verdicts rest on")
	f.StringVar(&basis, "basis", "request", "why: request, mistake or retention")
	f.BoolVar(&replay, "replay", false, "delete again what the logs say was erased")
	return cmd
}

func digests(list []string) ([]evidence.Digest, error) {
	out := make([]evidence.Digest, len(list))
	for i, s := range list {
		d, err := evidence.ParseDigest(s)
		if err == nil && d.IsZero() {
			err = errors.New("a digest is empty")
		}
		if err != nil {
			return nil, err
		}
		out[i] = d
	}
	return out, nil
}

func (a *app) orgEraseCommand() *cobra.Command {
	var sure bool
	cmd := &cobra.Command{
		Use:   "erase ORG --yes",
		Short: "Erase a customer that has left: facts, details, access, and the key to every copy",
		Long: `Erase a customer that has left. All its facts and details are deleted, and the key
without which no copy of the database shows them; its agents, users, tokens and
channels lose access. What stays is the log with its signatures, which hold no
personal data, and the board as it was. An entry of the log says so.

This cannot be undone. Export first what you must keep (attesto-server export).
Copies of the folder keys/data made before still hold the key: destroy them too.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !sure {
				return misused(errors.New("this cannot be undone: repeat it with --yes"))
			}
			return a.with(cmd.Context(), func(ctx context.Context, s *opened) error {
				if err := s.EraseOrg(ctx, args[0], ""); err != nil {
					return err
				}
				say(a.out, "Erased. Destroy copies of %s/keys/data that were made before.\n", s.cfg.Data)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&sure, "yes", false, "yes, for good")
	return cmd
}
