// Copyright: (c) 2026, servicemesh.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Judge asks Istio's own code what it would send: each line of the input has the objects of a mesh and its MeshConfig as JSON, and
// each line of the output what every proxy of that mesh gets, reduced to what decides on mutual TLS; with its routes when they are asked for.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	rbac "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protojson"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/log"
	"istio.io/istio/pkg/test"
)

// Mesh is a line of the input. Config is a MeshConfig as YAML; Proxies are the pods that have a proxy. With Routes, virtual hosts have
// their whole routes.
type Mesh struct {
	Config  string            `json:"config"`
	Kube    []json.RawMessage `json:"kube"`
	Istio   []json.RawMessage `json:"istio"`
	Proxies []Proxy           `json:"proxies"`
	Routes  bool              `json:"routes"`
}

// Proxy is a pod with a proxy: its kind is sidecar or router.
type Proxy struct {
	Name      string            `json:"name"`
	Namespace string            `json:"namespace"`
	Kind      string            `json:"kind"`
	Addresses []string          `json:"addresses"`
	Labels    map[string]string `json:"labels"`
	Account   string            `json:"account"`
}

// Answer is a line of the output: Proxies by namespace/name, or Error.
type Answer struct {
	Error   string          `json:"error,omitempty"`
	Proxies map[string]Sent `json:"proxies,omitempty"`
}

// Sent is what a proxy gets.
type Sent struct {
	Clusters  []Cluster              `json:"clusters"`
	Listeners []Listener             `json:"listeners"`
	Routes    map[string][]VirtualHost `json:"routes"`
}

// Cluster is an upstream. Socket is the TLS of endpoints that no match takes, Matches the TLS by the endpoints' metadata. TLS is one of
// raw, mesh (certificates of the mesh), other; it is empty without any.
type Cluster struct {
	Name      string     `json:"name"`
	Type      string     `json:"type"`
	Socket    string     `json:"socket"`
	Matches   []Match    `json:"matches,omitempty"`
	Endpoints []Endpoint `json:"endpoints"`
}

// Match is a transport socket match.
type Match struct {
	Metadata map[string]string `json:"metadata"`
	Socket   string            `json:"socket"`
}

// Endpoint is an address and the metadata that Matches look at.
type Endpoint struct {
	Address  string            `json:"address"`
	Port     uint32            `json:"port"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Listener is a listener with its filter chains.
type Listener struct {
	Name     string  `json:"name"`
	Address  string  `json:"address"`
	Port     uint32  `json:"port"`
	Bound    bool    `json:"bound"`
	Outbound bool    `json:"outbound"`
	Chains   []Chain `json:"chains"`
	Default  *Chain  `json:"default,omitempty"`
}

// Chain is a filter chain: what it matches, its TLS (raw, mesh with a required certificate, other), whether it takes HTTP only, and
// where it leads. Access has the rules of its RBAC filters in order, as Envoy's API has them in JSON; Paths is what it does to paths before.
type Chain struct {
	Name      string   `json:"name"`
	Port      uint32   `json:"port,omitempty"`
	Prefixes  []string `json:"prefixes,omitempty"`
	Transport string   `json:"transport,omitempty"`
	ALPN      []string `json:"alpn,omitempty"`
	Names     []string `json:"names,omitempty"`
	Socket    string   `json:"socket"`
	HTTP      bool     `json:"http,omitempty"`
	Clusters  []string `json:"clusters,omitempty"`
	Weights   []uint32 `json:"weights,omitempty"`
	Route     string   `json:"route,omitempty"`

	Access []json.RawMessage `json:"access,omitempty"`
	Paths  *Paths            `json:"paths,omitempty"`
}

// Paths says how paths are normalised.
type Paths struct {
	Normalize bool   `json:"normalize"`
	Merge     bool   `json:"merge"`
	Escaped   string `json:"escaped"`
}

// VirtualHost has the clusters of all its routes; Routes are these routes as Envoy's API has them in JSON, in order.
type VirtualHost struct {
	Domains  []string          `json:"domains"`
	Clusters []string          `json:"clusters"`
	Routes   []json.RawMessage `json:"routes,omitempty"`
}

func main() {
	for _, scope := range log.Scopes() {
		scope.SetOutputLevel(log.NoneLevel)
	}
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	output := json.NewEncoder(os.Stdout)
	for {
		line, err := input.ReadBytes('\n')
		if len(line) > 0 {
			if err := output.Encode(answer(line)); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		if err != nil {
			return
		}
	}
}

func answer(line []byte) Answer {
	var asked Mesh
	if err := json.Unmarshal(line, &asked); err != nil {
		return Answer{Error: err.Error()}
	}
	config, err := mesh.ApplyMeshConfigDefaults(asked.Config)
	if err != nil {
		return Answer{Error: "MeshConfig: " + err.Error()}
	}
	found := Answer{Proxies: map[string]Sent{}}
	failed := test.Wrap(func(t test.Failer) { judge(t, asked, config, found.Proxies) })
	if failed != nil {
		return Answer{Error: failed.Error()}
	}
	return found
}

func judge(t test.Failer, asked Mesh, config *meshconfig.MeshConfig, found map[string]Sent) {
	server := xds.NewFakeDiscoveryServer(t, xds.FakeOptions{
		KubernetesObjectString: documents(asked.Kube),
		ConfigString:           documents(asked.Istio),
		MeshConfig:             config,
	})
	for _, pod := range asked.Proxies {
		proxy := server.SetupProxy(&model.Proxy{
			Type:            model.NodeType(pod.Kind),
			ID:              pod.Name + "." + pod.Namespace,
			IPAddresses:     pod.Addresses,
			ConfigNamespace: pod.Namespace,
			Labels:          pod.Labels,
			Metadata: &model.NodeMetadata{
				IstioVersion:   "1.31.0",
				Namespace:      pod.Namespace,
				Labels:         pod.Labels,
				ClusterID:      "Kubernetes",
				ServiceAccount: pod.Account,
			},
		})
		listeners := server.Listeners(proxy)
		sent := Sent{Routes: map[string][]VirtualHost{}}
		assigned := map[string]*endpoint.ClusterLoadAssignment{}
		for _, one := range server.Endpoints(proxy) {
			assigned[one.ClusterName] = one
		}
		for _, one := range server.Clusters(proxy) {
			sent.Clusters = append(sent.Clusters, clusterOf(one, assigned))
		}
		for _, one := range listeners {
			sent.Listeners = append(sent.Listeners, listenerOf(one))
		}
		for _, one := range server.RoutesFromListeners(proxy, listeners) {
			sent.Routes[one.Name] = virtualHosts(one, asked.Routes)
		}
		found[pod.Namespace+"/"+pod.Name] = sent
	}
}

func documents(objects []json.RawMessage) string {
	texts := make([]string, 0, len(objects))
	for _, one := range objects {
		texts = append(texts, string(one))
	}
	return strings.Join(texts, "\n---\n")
}

func clusterOf(one *cluster.Cluster, assigned map[string]*endpoint.ClusterLoadAssignment) Cluster {
	result := Cluster{Name: one.Name, Type: one.GetType().String(), Socket: upstream(one.TransportSocket), Endpoints: []Endpoint{}}
	for _, match := range one.TransportSocketMatches {
		metadata := map[string]string{}
		for key, value := range match.Match.GetFields() {
			metadata[key] = value.GetStringValue()
		}
		result.Matches = append(result.Matches, Match{Metadata: metadata, Socket: upstream(match.TransportSocket)})
	}
	load := one.LoadAssignment
	if load == nil {
		load = assigned[one.Name]
	}
	for _, locality := range load.GetEndpoints() {
		for _, lb := range locality.LbEndpoints {
			address := lb.GetEndpoint().GetAddress()
			if internal := address.GetEnvoyInternalAddress(); internal != nil {
				result.Endpoints = append(result.Endpoints, Endpoint{Address: internal.GetEndpointId(), Metadata: labels(lb)})
				continue
			}
			socket := address.GetSocketAddress()
			result.Endpoints = append(result.Endpoints, Endpoint{Address: socket.GetAddress(), Port: socket.GetPortValue(), Metadata: labels(lb)})
		}
	}
	return result
}

func labels(one *endpoint.LbEndpoint) map[string]string {
	found := map[string]string{}
	for key, value := range one.GetMetadata().GetFilterMetadata()["envoy.transport_socket_match"].GetFields() {
		found[key] = value.GetStringValue()
	}
	return found
}

func upstream(socket *core.TransportSocket) string {
	if socket == nil {
		return ""
	}
	switch socket.Name {
	case "envoy.transport_sockets.raw_buffer":
		return "raw"
	case "envoy.transport_sockets.tls":
		context := &tls.UpstreamTlsContext{}
		if err := socket.GetTypedConfig().UnmarshalTo(context); err != nil {
			return err.Error()
		}
		return common(context.GetCommonTlsContext())
	}
	return socket.Name
}

// common tells the certificates of the mesh from all others by the names under which Istio's agent has them.
func common(context *tls.CommonTlsContext) string {
	for _, secret := range context.GetTlsCertificateSdsSecretConfigs() {
		if secret.Name == "default" {
			return "mesh"
		}
	}
	return "other"
}

func downstream(socket *core.TransportSocket) string {
	if socket == nil {
		return "raw"
	}
	context := &tls.DownstreamTlsContext{}
	if err := socket.GetTypedConfig().UnmarshalTo(context); err != nil {
		return err.Error()
	}
	if common(context.GetCommonTlsContext()) == "mesh" && context.GetRequireClientCertificate().GetValue() {
		return "mesh"
	}
	return "other"
}

func listenerOf(one *listener.Listener) Listener {
	socket := one.GetAddress().GetSocketAddress()
	result := Listener{
		Name: one.Name, Address: socket.GetAddress(), Port: socket.GetPortValue(),
		Bound: one.BindToPort == nil || one.BindToPort.GetValue(), Outbound: one.TrafficDirection == core.TrafficDirection_OUTBOUND,
		Chains: []Chain{},
	}
	for _, chain := range one.FilterChains {
		result.Chains = append(result.Chains, chainOf(chain))
	}
	if one.DefaultFilterChain != nil {
		chain := chainOf(one.DefaultFilterChain)
		result.Default = &chain
	}
	return result
}

func chainOf(one *listener.FilterChain) Chain {
	match := one.GetFilterChainMatch()
	result := Chain{
		Name: one.Name, Port: match.GetDestinationPort().GetValue(), Transport: match.GetTransportProtocol(),
		ALPN: match.GetApplicationProtocols(), Names: match.GetServerNames(), Socket: downstream(one.TransportSocket),
	}
	for _, prefix := range match.GetPrefixRanges() {
		result.Prefixes = append(result.Prefixes, fmt.Sprintf("%s/%d", prefix.AddressPrefix, prefix.GetPrefixLen().GetValue()))
	}
	for _, filter := range one.Filters {
		config := filter.GetTypedConfig()
		switch {
		case config.MessageIs(&tcp.TcpProxy{}):
			proxy := &tcp.TcpProxy{}
			if config.UnmarshalTo(proxy) == nil {
				result.Clusters = append(result.Clusters, proxied(proxy)...)
				for _, one := range proxy.GetWeightedClusters().GetClusters() {
					result.Weights = append(result.Weights, one.Weight)
				}
			}
		case config.MessageIs(&hcm.HttpConnectionManager{}):
			manager := &hcm.HttpConnectionManager{}
			if config.UnmarshalTo(manager) != nil {
				continue
			}
			result.HTTP = true
			result.Access = access(manager)
			result.Paths = &Paths{
				Normalize: manager.GetNormalizePath().GetValue(), Merge: manager.MergeSlashes, Escaped: manager.PathWithEscapedSlashesAction.String(),
			}
			if manager.GetRds() != nil {
				result.Route = manager.GetRds().RouteConfigName
			}
			for _, host := range virtualHosts(manager.GetRouteConfig(), false) {
				result.Clusters = append(result.Clusters, host.Clusters...)
			}
		}
	}
	return result
}

func access(manager *hcm.HttpConnectionManager) []json.RawMessage {
	found := []json.RawMessage{}
	for _, filter := range manager.HttpFilters {
		config := filter.GetTypedConfig()
		if !config.MessageIs(&rbac.RBAC{}) {
			continue
		}
		one := &rbac.RBAC{}
		if err := config.UnmarshalTo(one); err != nil {
			found = append(found, json.RawMessage(fmt.Sprintf("%q", err.Error())))
			continue
		}
		text, err := protojson.Marshal(one.GetRules())
		if err != nil {
			text, _ = json.Marshal(err.Error())
		}
		found = append(found, text)
	}
	return found
}

func proxied(proxy *tcp.TcpProxy) []string {
	if proxy.GetCluster() != "" {
		return []string{proxy.GetCluster()}
	}
	found := []string{}
	for _, one := range proxy.GetWeightedClusters().GetClusters() {
		found = append(found, one.Name)
	}
	return found
}

func virtualHosts(config *route.RouteConfiguration, whole bool) []VirtualHost {
	found := []VirtualHost{}
	for _, host := range config.GetVirtualHosts() {
		names, routes := map[string]bool{}, []json.RawMessage{}
		for _, one := range host.Routes {
			if whole {
				text, err := protojson.Marshal(one)
				if err != nil {
					text, _ = json.Marshal(err.Error())
				}
				routes = append(routes, text)
			}
			action := one.GetRoute()
			if action == nil {
				continue
			}
			if action.GetCluster() != "" {
				names[action.GetCluster()] = true
			}
			for _, weighted := range action.GetWeightedClusters().GetClusters() {
				names[weighted.Name] = true
			}
			for _, mirror := range action.GetRequestMirrorPolicies() {
				names[mirror.Cluster] = true
			}
		}
		clusters := make([]string, 0, len(names))
		for name := range names {
			clusters = append(clusters, name)
		}
		sort.Strings(clusters)
		found = append(found, VirtualHost{Domains: host.Domains, Clusters: clusters, Routes: routes})
	}
	return found
}
