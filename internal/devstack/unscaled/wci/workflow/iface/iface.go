// Package iface has the types by which Temporal's server describes how workers are
// started on demand. Nothing here does so.
package iface

import (
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
)

type (
	// ComputeProviderType names a provider of machines.
	ComputeProviderType string

	// ComputeProviderSpec is a provider and its settings.
	ComputeProviderSpec struct {
		ProviderType  ComputeProviderType `json:"provider_type,omitempty"`
		Config        *common.Payload     `json:"config,omitempty"`
		NexusEndpoint string              `json:"nexus_endpoint,omitempty"`
	}

	// ScalingAlgorithmType names an algorithm.
	ScalingAlgorithmType string

	// ScalingAlgorithmSpec is an algorithm and its settings.
	ScalingAlgorithmSpec struct {
		ScalingAlgorithm ScalingAlgorithmType `json:"scaling_algorithm,omitempty"`
		Config           *common.Payload      `json:"config,omitempty"`
	}

	// ScalingGroupSpec says where the workers of some task queues are started.
	ScalingGroupSpec struct {
		TaskTypes []enums.TaskQueueType `json:"task_types"`
		Compute   ComputeProviderSpec   `json:"compute"`
		Scaling   *ScalingAlgorithmSpec `json:"scaling,omitempty"`
	}

	// ScalingGroupSpecUpdate changes a group.
	ScalingGroupSpecUpdate struct {
		Spec       ScalingGroupSpec `json:"spec"`
		UpdateMask []string         `json:"update_mask"`
	}

	// WorkerControllerInstanceSpec has the groups of a version of a deployment.
	WorkerControllerInstanceSpec struct {
		ScalingGroupSpecs map[string]ScalingGroupSpec `json:"scaling_group_specs"`
	}

	// QueryDescribeWorkerControllerInstanceResponse describes a version's groups.
	QueryDescribeWorkerControllerInstanceResponse struct {
		Spec             *WorkerControllerInstanceSpec `json:"spec,omitempty"`
		ValidationStatus *ValidationStatus             `json:"validation_state,omitempty"`
	}

	// UpdateWorkerControllerInstanceResponse has a version's groups after a change.
	UpdateWorkerControllerInstanceResponse struct {
		Spec *WorkerControllerInstanceSpec `json:"spec,omitempty"`
	}

	// ValidationResult says whether a provider can be used.
	ValidationResult string

	// ValidationStatus is when that was found out, and what was found.
	ValidationStatus struct {
		LastValidationTime time.Time        `json:"last_validation_time"`
		Status             ValidationResult `json:"status"`
		ErrMessage         string           `json:"err_message,omitempty"`
	}
)

// ValidationResultFailed is the result where a provider can't be used.
const ValidationResultFailed ValidationResult = "failed"
