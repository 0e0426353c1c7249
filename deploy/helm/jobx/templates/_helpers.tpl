{{- define "jobx.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "jobx.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "jobx.labels" -}}
{{ include "jobx.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "jobx.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "jobx.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "jobx.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "jobx.mounts" -}}
- name: data
  mountPath: /var/lib/jobx
- name: tmp
  mountPath: /tmp
{{- end -}}

{{/* A Deployment: a dict of root, name, args and component (web, or one of workers). */}}
{{- define "jobx.deployment" -}}
{{- $root := .root -}}
{{- $component := .component -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "jobx.fullname" $root }}-{{ .name }}
  labels:
    {{- include "jobx.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .name }}
spec:
  {{- if not $component.autoscaling.enabled }}
  replicas: {{ $component.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 25%
  selector:
    matchLabels:
      {{- include "jobx.selectorLabels" $root | nindent 6 }}
      app.kubernetes.io/component: {{ .name }}
  template:
    metadata:
      labels:
        {{- include "jobx.labels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .name }}
      annotations:
        checksum/settings: {{ include (print $root.Template.BasePath "/configmap.yaml") $root | sha256sum }}
        {{- with $component.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "jobx.fullname" $root }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "jobx.podSecurity" $root | nindent 8 }}
      {{- with $root.Values.shutdown }}
      terminationGracePeriodSeconds: {{ add .drainSeconds .shutdownSeconds .marginSeconds }}
      {{- end }}
      topologySpreadConstraints:
        {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "jobx.selectorLabels" $root | nindent 14 }}
              app.kubernetes.io/component: {{ $.name }}
        {{- end }}
      {{- with $component.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $component.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: jobx
          image: {{ include "jobx.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: {{ toJson .args }}
          envFrom:
            - configMapRef:
                name: {{ include "jobx.fullname" $root }}
            - secretRef:
                name: {{ $root.Values.existingSecret }}
          ports:
            - name: http
              containerPort: 8000
          startupProbe:
            httpGet: {path: /livez, port: http}
            periodSeconds: 2
            timeoutSeconds: 2
            failureThreshold: 60
          livenessProbe:
            httpGet: {path: /livez, port: http}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: {path: /readyz, port: http}
            periodSeconds: 5
            timeoutSeconds: 4
            failureThreshold: 2
          securityContext:
            {{- include "jobx.containerSecurity" $root | nindent 12 }}
          resources:
            {{- toYaml $component.resources | nindent 12 }}
          volumeMounts:
            {{- include "jobx.mounts" $root | nindent 12 }}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: 1Gi}
        - name: data
          {{- if $root.Values.files.existingClaim }}
          persistentVolumeClaim:
            claimName: {{ $root.Values.files.existingClaim }}
          {{- else }}
          emptyDir: {sizeLimit: 1Gi}
          {{- end }}
{{- end -}}

{{/* A HorizontalPodAutoscaler, of the same dict. */}}
{{- define "jobx.autoscaler" -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "jobx.fullname" .root }}-{{ .name }}
  labels:
    {{- include "jobx.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .name }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "jobx.fullname" .root }}-{{ .name }}
  minReplicas: {{ .component.autoscaling.minReplicas }}
  maxReplicas: {{ .component.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ .component.autoscaling.targetCPUUtilizationPercentage }}
{{- end -}}

{{/* A PodDisruptionBudget, of the same dict. */}}
{{- define "jobx.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "jobx.fullname" .root }}-{{ .name }}
  labels:
    {{- include "jobx.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .name }}
spec:
  maxUnavailable: {{ .component.maxUnavailable | default 1 }}
  selector:
    matchLabels:
      {{- include "jobx.selectorLabels" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .name }}
{{- end -}}

{{/* A Job that migrates: a dict of root, stage and hook. It runs before the ConfigMap and the account are there. */}}
{{- define "jobx.migrate" -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "jobx.fullname" .root }}-migrate-{{ .stage }}
  labels:
    {{- include "jobx.labels" .root | nindent 4 }}
    app.kubernetes.io/component: migrate
  annotations:
    helm.sh/hook: {{ .hook }}
    helm.sh/hook-delete-policy: before-hook-creation
spec:
  # With the pauses between them, about ten minutes of tries: old pods may need some to end.
  backoffLimit: 6
  activeDeadlineSeconds: 1800
  template:
    metadata:
      labels:
        {{- include "jobx.labels" .root | nindent 8 }}
        app.kubernetes.io/component: migrate
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      enableServiceLinks: false
      {{- with .root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "jobx.podSecurity" .root | nindent 8 }}
      containers:
        - name: migrate
          image: {{ include "jobx.image" .root }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args: [migrate, --stage, {{ .stage }}]
          env:
            - name: JOBX_DATABASE_URL
              valueFrom:
                secretKeyRef:
                  name: {{ .root.Values.migrate.existingSecret }}
                  key: JOBX_DATABASE_URL
          securityContext:
            {{- include "jobx.containerSecurity" .root | nindent 12 }}
          resources:
            {{- toYaml .root.Values.migrate.resources | nindent 12 }}
          volumeMounts:
            {{- include "jobx.mounts" .root | nindent 12 }}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: 256Mi}
        - name: data
          emptyDir: {sizeLimit: 256Mi}
{{- end -}}
