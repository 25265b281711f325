package main

import "github.com/spf13/cobra"

func newDomainCommand(env *environment) *cobra.Command    { return &cobra.Command{Use: "Domain"} }
func newMailboxCommand(env *environment) *cobra.Command   { return &cobra.Command{Use: "Mailbox"} }
func newAliasCommand(env *environment) *cobra.Command     { return &cobra.Command{Use: "Alias"} }
func newRelocatedCommand(env *environment) *cobra.Command { return &cobra.Command{Use: "Relocated"} }
func newQueueCommand(env *environment) *cobra.Command     { return &cobra.Command{Use: "Queue"} }
func newTokenCommand(env *environment) *cobra.Command     { return &cobra.Command{Use: "Token"} }
