/**
 * A text that Kubernetes leaves as it is: in commands, arguments and variables it reads `$(NAME)` as the variable of that
 * name, where ECS knows no such thing, and `$$` as `$`.
 * https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#environment-variables
 */
export function withoutExpansion(text: string, variables: ReadonlySet<string>): string {
  return text.replaceAll(/\$+(\(([^)]*)\))?/g, (match, reference?: string, name?: string) => {
    const signs = match.length - (reference ?? '').length;
    const known = name !== undefined && variables.has(name);
    return signs > 1 || known ? '$'.repeat(signs) + match : match;
  });
}
